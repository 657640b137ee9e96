"""The HTTP API, `/v1`: thin routers over the verbs; RFC 9457 problems; bearer tokens with roles."""

"""Seeds that failed once: run first, for ever. A change of the simulator itself makes other runs of them."""

KNOWN: dict[int, str] = {
    32: "an agent whose disk was full for a moment never judged an order that was proposed meanwhile",
    35: "an agent sent what its killed predecessor had written and not made durable",
    166: "agents kept orders open for ever that a rewrite took out and nobody could propose any more",
    334: "an agent forgot an approval for a refusal that was rewritten, and approved its episode again",
}

// A peer for the document store: @vercel/cosmosdb-server, corrected where azure-cosmos meets its
// gaps, with faults to order. In memory, plain HTTP on loopback, any key is right.
// What is corrected here is our reading of the service's documentation, no evidence about it.
//
//   node cosmos_peer.js       prints "ready PORT"
//   POST /__fault             {"kind": "before" | "after" | "hang" | 429, "method": "POST", "count": 1}
//   GET  /__requests          the requests for documents so far: [{"method", "status"}]
"use strict";

const LIB = "@vercel/cosmosdb-server/lib/";
const Items = require(LIB + "account/items").default;
const json = require(LIB + "json").default;
const operations = require(LIB + "handler/_document-operations");

const LARGEST = 2 * 1024 * 1024;
const RETRY_AFTER_MS = 20;

const answer = (response, status, code, message) => {
  response.statusCode = status;
  return { code, message };
};

function partitionKey(request) {
  const header = request.headers["x-ms-documentdb-partitionkey"];
  return header ? JSON.parse(header) : [];
}

// The service's etags are quoted.
const set = Items.prototype._set;
Items.prototype._set = function (document) {
  if (document._etag && !document._etag.startsWith('"')) document._etag = `"${document._etag}"`;
  return set.call(this, document);
};

// Reading what is not there is 404, also in another partition; the stock server answers 500.
require(LIB + "handler/read-document").default = (account, request, response, place) => {
  const collection = account.database(place.dbId).collection(place.collId);
  const key = partitionKey(request);
  if (!collection.read()) return answer(response, 404, "NotFound", "no such container");
  const found = operations.readOperation(collection, {
    id: place.docId,
    partitionKey: JSON.stringify(key),
  });
  if (found.statusCode === 200 && collection.documents._getPartition(found.body) !== key[0])
    return answer(response, 404, "NotFound", "not in this partition");
  response.statusCode = found.statusCode;
  return found.body;
};

// A document must be in the partition that the header names, and fit.
require(LIB + "handler/create-document").default = async (account, request, response, place) => {
  const body = await json(request);
  const collection = account.database(place.dbId).collection(place.collId);
  if (!collection.read()) return answer(response, 404, "NotFound", "no such container");
  if (JSON.stringify(body).length > LARGEST)
    return answer(response, 413, "RequestEntityTooLarge", "Request size is too large");
  if (collection.documents._getPartition(body) !== partitionKey(request)[0])
    return answer(response, 400, "BadRequest", "the partition key is not the document's");
  const made = operations.createOperation(collection, { resourceBody: body });
  response.statusCode = made.statusCode;
  return made.body;
};

// ---- faults
const faults = [];
const requests = [];

function control(request, response) {
  if (request.method === "GET") return response.end(JSON.stringify(requests));
  return json(request).then((fault) => {
    for (let left = fault.count || 1; left > 0; left -= 1) faults.push(fault);
    response.end("{}");
  });
}

function spoil(fault, request, response) {
  if (fault === undefined) return true;
  if (fault.kind === "before") request.socket.destroy();
  else if (fault.kind === "after") response.end = () => request.socket.destroy();
  else if (fault.kind === "hang") response.end = () => response;
  else {
    response.setHeader("x-ms-retry-after-ms", String(RETRY_AFTER_MS));
    response.statusCode = fault.kind;
    response.end(JSON.stringify({ code: String(fault.kind), message: "a fault to order" }));
  }
  return fault.kind === "after" || fault.kind === "hang";
}

// Required last: it takes the handlers as it finds them.
const { createHttpServer } = require("@vercel/cosmosdb-server");
const server = createHttpServer({ keepAlive: true });
const [serve] = server.listeners("request");
server.removeListener("request", serve);
server.on("request", (request, response) => {
  if (request.url.startsWith("/__")) return control(request, response);
  if (!/\/docs\b/.test(request.url)) return serve(request, response);
  const entry = { method: request.method, status: null };
  requests.push(entry);
  response.on("finish", () => (entry.status = response.statusCode));
  const next = faults.findIndex((fault) => fault.method === request.method);
  const [fault] = next < 0 ? [] : faults.splice(next, 1);
  return spoil(fault, request, response) ? serve(request, response) : undefined;
});
server.listen(0, "127.0.0.1", () => console.log("ready", server.address().port));

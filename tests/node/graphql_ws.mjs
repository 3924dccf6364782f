// Runs operations with graphql-ws' own client: `address, [request, …], [connectionParams]`.
// Prints, per request, the results it got and the errors, if it ended in them.
import { createClient } from "graphql-ws";
import WebSocket from "ws";

const [url, requests, connectionParams] = process.argv.slice(2);
const client = createClient({
  url,
  webSocketImpl: WebSocket,
  retryAttempts: 0,
  connectionParams: JSON.parse(connectionParams ?? "{}"),
});
const run = (request) =>
  new Promise((resolve) => {
    const results = [];
    client.subscribe(request, {
      next: (result) => results.push(result),
      error: (error) =>
        resolve({ results, error: Array.isArray(error) ? error : { code: error.code } }),
      complete: () => resolve({ results }),
    });
  });
console.log(JSON.stringify(await Promise.all(JSON.parse(requests).map(run))));
await client.dispose();

// Runs operations with graphql-sse's own client: `address, [request, …], single|distinct`.
import { createClient } from "graphql-sse";

const [url, requests, mode] = process.argv.slice(2);
const client = createClient({ url, singleConnection: mode === "single", retryAttempts: 0 });
const run = (request) =>
  new Promise((resolve) => {
    const results = [];
    client.subscribe(request, {
      next: (result) => results.push(result),
      error: (error) => resolve({ results, error: String(error) }),
      complete: () => resolve({ results }),
    });
  });
console.log(JSON.stringify(await Promise.all(JSON.parse(requests).map(run))));
client.dispose();

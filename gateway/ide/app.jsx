// GraphiQL against the endpoint that served this page, with subscriptions over graphql-transport-ws.
import { createGraphiQLFetcher } from '@graphiql/toolkit';
import { GraphiQL, HISTORY_PLUGIN } from 'graphiql';
import { createRoot } from 'react-dom/client';
import 'graphiql/style.css';
import { HEADER, explanationPlugin, remember as rememberExplanation } from './explanation.jsx';

const assets = new URL('.', import.meta.url);
const workers = { json: 'json.worker.js', graphql: 'graphql.worker.js' };
globalThis.MonacoEnvironment = {
  getWorker: (_, label) => new Worker(new URL(workers[label] ?? 'editor.worker.js', assets)),
};

const url = new URL(location.pathname, location.href);
const socket = new URL(url);
socket.protocol = url.protocol === 'https:' ? 'wss:' : 'ws:';
const send = createGraphiQLFetcher({
  url: url.href,
  subscriptionUrl: socket.href,
  enableIncrementalDelivery: false, // Else even a plain answer comes as a stream of one.
});

// The token of the last log-in, for tabs whose headers do not name one.
let token;

function remember(answer) {
  for (const payload of Object.values(answer?.data ?? {})) {
    token = payload?.accessToken ?? token;
  }
  return answer;
}

async function fetcher(request, options) {
  const headers = { ...options?.headers };
  if (token && !Object.keys(headers).some((name) => name.toLowerCase() === 'authorization')) {
    headers.Authorization = `Bearer ${token}`;
  }
  headers[HEADER] ??= '1';
  const answer = await send(request, { ...options, headers });
  if (request.operationName !== 'IntrospectionQuery') rememberExplanation(answer);
  return answer?.data ? remember(answer) : answer;
}

const examples = JSON.parse(document.getElementById('examples').textContent);

createRoot(document.getElementById('graphiql')).render(
  <GraphiQL
    fetcher={fetcher}
    defaultTabs={examples}
    plugins={[HISTORY_PLUGIN, explanationPlugin]}
    defaultEditorToolsVisibility="headers"
    shouldPersistHeaders={false}
  />,
);

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
const connect = (enableIncrementalDelivery) =>
  createGraphiQLFetcher({
    url: url.href,
    subscriptionUrl: socket.href,
    enableIncrementalDelivery,
  });
const send = connect(false);
const sendForParts = connect(true); // Here even a plain answer comes as a stream of one.

// The token of the last log-in, for tabs whose headers do not name one.
let token;

// What the page has to know of an answer, which is then shown as clients get it.
function remember(answer) {
  rememberExplanation(answer);
  for (const payload of Object.values(answer?.data ?? {})) {
    token = payload?.accessToken ?? token;
  }
  return answer;
}

async function* rememberParts(answers) {
  for await (const parts of answers) yield [parts].flat().map(remember);
}

async function fetcher(request, options) {
  const headers = { ...options?.headers };
  if (token && !Object.keys(headers).some((name) => name.toLowerCase() === 'authorization')) {
    headers.Authorization = `Bearer ${token}`;
  }
  if (request.operationName === 'IntrospectionQuery') return send(request, { ...options, headers });
  headers[HEADER] ??= '1';
  if (/@defer\b/.test(request.query)) {
    headers.accept = 'multipart/mixed;incrementalSpec=v0.2, application/json;q=0.9';
    return rememberParts(await sendForParts(request, { ...options, headers }));
  }
  return remember(await send(request, { ...options, headers }));
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

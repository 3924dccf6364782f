// How the last answer came about: its plan, the time of each fetch, why its nulls are null.
import { useSyncExternalStore } from 'react';

export const HEADER = 'X-Nexus-Explain';

let current;
const listeners = new Set();

function subscribe(listener) {
  listeners.add(listener);
  return () => listeners.delete(listener);
}

// Takes the explanation out of an answer, so that the page shows the answer as clients get it.
export function remember(answer) {
  const { explain, ...others } = answer?.extensions ?? {};
  if (explain) {
    if (Object.keys(others).length) answer.extensions = others;
    else delete answer.extensions;
  }
  current = explain;
  for (const listener of listeners) listener();
}

const milliseconds = (value) => `${value.toFixed(1)} ms`;
const place = (path) => path.join('.') || 'data';

function Fetches({ fetches }) {
  const end = Math.max(...fetches.map((fetch) => fetch.startMs + fetch.durationMs), 0.001);
  return fetches.map((fetch) => (
    <div key={fetch.id} style={{ marginBottom: 8 }} title={fetch.document}>
      {fetch.id} · <b>{fetch.subgraph}</b>{' '}
      {fetch.sent ? milliseconds(fetch.durationMs) : 'not asked'}
      {fetch.representations > 0 && ` · ${fetch.representations} entities`}
      {fetch.errors.length > 0 && ` · ${fetch.errors.length} errors`}
      <div
        style={{
          marginLeft: `${(100 * fetch.startMs) / end}%`,
          width: `${(100 * fetch.durationMs) / end}%`,
          minWidth: 2,
          height: 6,
          background: `hsl(var(--color-${fetch.errors.length ? 'error' : 'primary'}))`,
        }}
      />
    </div>
  ));
}

function Null({ path, reason, bubbledThrough }) {
  return (
    <li style={{ marginBottom: 8 }}>
      <code>{place(path)}</code>: {reason.message} <small>({reason.code})</small>
      {reason.subgraph && (
        <div>
          from {reason.subgraph}
          {reason.fetch !== null && `, fetch ${reason.fetch}`}, at <code>{place(reason.path)}</code>
        </div>
      )}
      {bubbledThrough.length > 0 && <div>not null: {bubbledThrough.join(' → ')}</div>}
      {reason.original.length > 0 && (
        <pre style={{ whiteSpace: 'pre-wrap' }}>
          {reason.original
            .map((one) => (typeof one === 'string' ? one : JSON.stringify(one)))
            .join('\n')}
        </pre>
      )}
    </li>
  );
}

function Explanation() {
  const explain = useSyncExternalStore(subscribe, () => current);
  if (!explain) return <p>Run an operation to see how it is answered.</p>;
  return (
    <section aria-label="How it was answered" style={{ overflowWrap: 'anywhere' }}>
      <h3>Fetches</h3>
      <Fetches fetches={explain.fetches} />
      {explain.nulls.length > 0 && (
        <>
          <h3>Why is it null?</h3>
          <ul style={{ paddingLeft: 16 }}>
            {explain.nulls.map((one) => (
              <Null key={place(one.path)} {...one} />
            ))}
          </ul>
        </>
      )}
      <h3>Plan</h3>
      <pre style={{ overflowX: 'auto' }}>{explain.queryPlan}</pre>
    </section>
  );
}

const Icon = () => (
  <svg viewBox="0 0 20 20" fill="none" stroke="currentColor" strokeWidth="1.5">
    <path d="M3 5h9M6 10h11M3 15h6" />
  </svg>
);

export const explanationPlugin = {
  title: 'How it was answered',
  icon: Icon,
  content: Explanation,
};

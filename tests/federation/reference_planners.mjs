// Asks a reference planner for plans.  In: {planner, sdl, queries}; out: a line for each query.
// Hive Router's planner ends the process where it panics, so the output may end early.
import { readFileSync, writeSync } from 'node:fs';
import { createRequire } from 'node:module';

const require = createRequire(new URL('../../bench/peers/package.json', import.meta.url));

function hive(sdl) {
  const { QueryPlanner } = require('@graphql-hive/router-query-planner');
  const planner = new QueryPlanner(sdl);
  return (query) => planner.plan(query, null, new Set(), 0);
}

function apollo(sdl) {
  const { QueryPlanner } = require('@apollo/query-planner');
  const { Supergraph, operationFromDocument } = require('@apollo/federation-internals');
  const { parse } = require('graphql');
  const supergraph = Supergraph.build(sdl);
  const planner = new QueryPlanner(supergraph);
  const schema = supergraph.apiSchema();
  return (query) => planner.buildQueryPlan(operationFromDocument(schema, parse(query)));
}

const asked = JSON.parse(readFileSync(0, 'utf8'));
const plan = { hive, apollo }[asked.planner](asked.sdl);
for (const query of asked.queries) {
  let answer;
  try {
    answer = { plan: plan(query) };
  } catch (error) {
    answer = { error: String(error) };
  }
  writeSync(1, `${JSON.stringify(answer)}\n`);
}

// Reads [{name, url, typeDefs}] from standard input and writes {supergraphSdl} or {errors}.
import { readFileSync } from 'node:fs';
import { composeServices } from '@theguild/federation-composition';
import { parse } from 'graphql';

const subgraphs = JSON.parse(readFileSync(0, 'utf8'));
const { supergraphSdl, errors } = composeServices(
  subgraphs.map(({ name, url, typeDefs }) => ({ name, url, typeDefs: parse(typeDefs) })),
);
const said = errors?.map(({ message, extensions }) => ({ message, code: extensions?.code }));
process.stdout.write(JSON.stringify(said?.length ? { errors: said } : { supergraphSdl }));

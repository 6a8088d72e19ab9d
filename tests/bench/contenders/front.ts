import { TypeBoxValidatorCompiler, type TypeBoxTypeProvider } from '@fastify/type-provider-typebox';
import fastify from 'fastify';
import { IncrementBody, toIncrement, type Increment } from '../../../schema/increment.ts';
import { Accepted } from '../../../schema/http/accepted.ts';

/**
 * The HTTP side that contenders share: Fastify with the mesh's schema and validator, and nothing
 * else. What a contender does with an increment is all that tells them apart.
 */
export async function serve(
  accept: (increment: Increment) => Promise<Accepted> | Accepted,
): Promise<void> {
  const app = fastify({ logger: false }).withTypeProvider<TypeBoxTypeProvider>();
  app.setValidatorCompiler(TypeBoxValidatorCompiler);
  const schema = { body: IncrementBody, response: { 200: Accepted } };
  app.post('/increment', { schema }, (request) => accept(toIncrement(request.body)));
  await app.listen({ host: '127.0.0.1', port: Number(process.env['PORT']) });
  endOnSignal();
}

/** Says that it is ready, and ends in a way that lets Node write a profile. */
export function endOnSignal(): void {
  process.once('SIGTERM', () => process.exit(0));
  process.stdout.write('listening\n');
}

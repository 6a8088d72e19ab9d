/** Loads what a gateway and a counter service load; Fastify loads much of itself only when it starts. */
export async function loadServices(): Promise<void> {
  await import('../../counter/app.ts');
  await import('../../telemetry/start.ts');
  await import('close-with-grace');
  const { buildTestGateway } = await import('../gateway/test-gateway.ts');
  const endings: (() => unknown)[] = [];
  const test = { teardown: (end: () => unknown) => endings.push(end) };
  const { app } = await buildTestGateway(test as never);
  await app.ready();
  for (const end of endings) await end();
}

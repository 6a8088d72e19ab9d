/** What a process that a test starts inherits: not the hooks that `tap run` loads into its tests. */
export function inheritedEnvironment(): NodeJS.ProcessEnv {
  const { NODE_OPTIONS: _testRunners, ...inherited } = process.env;
  return inherited;
}

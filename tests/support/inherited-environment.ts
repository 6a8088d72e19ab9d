/** Options of Node for whatever a test starts; the runner sets it. */
export const CHILD_OPTIONS_VARIABLE = 'TEST_NODE_OPTIONS';

/** What a process that a test starts inherits: not the hooks that `tap run` loads into its tests. */
export function inheritedEnvironment(): NodeJS.ProcessEnv {
  const { NODE_OPTIONS: _testRunners, ...inherited } = process.env;
  const options = process.env[CHILD_OPTIONS_VARIABLE];
  return options === undefined ? inherited : { ...inherited, NODE_OPTIONS: options };
}

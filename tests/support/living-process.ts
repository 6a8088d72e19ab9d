/** Zombies, which nobody may have waited for, do not count as alive. */
export { identifyProcess as livingProcess } from '../../mesh/servers/processes.ts';

/**
 * Makes a function of one that writes a file which the mesh itself does not need: where it can't be written,
 * that is said once, and the mesh goes on.
 *
 * @param what the file, as the line names it.
 */
export function unlessDiskFails(
  what: string,
  write: () => void,
  say: (line: string) => void,
): () => void {
  let hasFailed = false;
  return () => {
    try {
      write();
      hasFailed = false;
    } catch (error) {
      if (!hasFailed) say(`${what} can't be written: ${(error as Error).message}`);
      hasFailed = true;
    }
  };
}

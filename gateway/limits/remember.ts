/** Longer texts are read anew each time: they are rare, and what is remembered must be bounded. */
const LENGTH_MAX = 100;
const COUNT_MAX = 1_000;

/**
 * A function of a text that remembers its answers, for what nearly every request asks again. When it
 * remembers a thousand it forgets them all.
 */
export function remember<Answer>(read: (text: string) => Answer): (text: string) => Answer {
  const known = new Map<string, Answer>();
  return (text) => {
    const answer = known.get(text);
    if (answer !== undefined || known.has(text)) return answer as Answer;
    if (text.length > LENGTH_MAX) return read(text);
    if (known.size >= COUNT_MAX) known.clear();
    const fresh = read(text);
    known.set(text, fresh);
    return fresh;
  };
}

import type { CounterConfig } from '../config.ts';

/** Fewer make flushes so small that their number is the limit. */
const MESSAGES_HELD_MIN = 2_000;
const KEYS_HELD_MIN = 10_000;

/** Pure: settings that work, and keep a counter service far below what it could do. */
export function findUnwiseSettings({
  MESSAGES_HELD_MAX,
  KEYS_HELD_MAX,
}: Pick<CounterConfig, 'MESSAGES_HELD_MAX' | 'KEYS_HELD_MAX'>): string[] {
  const slow = (name: string, value: number, min: number) =>
    value < min
      ? [
          `${name} is ${value}: this counter service flushes half of that at a time, some flushes a second, and ` +
            `counts no faster. Below ${min} it falls behind at moderate loads`,
        ]
      : [];
  return [
    ...slow('MESSAGES_HELD_MAX', MESSAGES_HELD_MAX, MESSAGES_HELD_MIN),
    ...slow('KEYS_HELD_MAX', KEYS_HELD_MAX, KEYS_HELD_MIN),
  ];
}

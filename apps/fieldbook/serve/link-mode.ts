/**
 * What the satellite link does with a request to the server.
 * `up`: passes it on. `slow`: passes it on late and in drips. `down`: cuts the connection, open streams included.
 * `portal`: answers every request with a log-in page of its own, status 200, as captive portals do.
 */
export const LINK_MODES = ['up', 'slow', 'down', 'portal'] as const
export type LinkMode = (typeof LINK_MODES)[number]

export function isLinkMode(value: unknown): value is LinkMode {
  return LINK_MODES.some((mode) => mode === value)
}

/** A slow link: one way, and in each direction. */
export interface LinkPace {
  readonly latencyMs: number
  readonly bytesPerSecond: number
}

/** A satellite link of about 64 kbit/s. */
export const SLOW_PACE: LinkPace = { latencyMs: 800, bytesPerSecond: 8_000 }

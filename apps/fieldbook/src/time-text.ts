const TIME = new Intl.DateTimeFormat('en-GB', { hour: '2-digit', minute: '2-digit' })
const DAY = new Intl.DateTimeFormat('en-GB', { weekday: 'long', day: 'numeric', month: 'long', year: 'numeric' })

export const timeText = (atMs: number): string => TIME.format(atMs)
export const dayText = (atMs: number): string => DAY.format(atMs)

/** The value of `<input type="datetime-local">` for an instant, in the device's time zone. */
export function toLocalInput(atMs: number): string {
  const local = new Date(atMs - new Date(atMs).getTimezoneOffset() * 60_000)
  return local.toISOString().slice(0, 16)
}

/** `NaN` for what is no date. */
export function fromLocalInput(value: string): number {
  return new Date(value).getTime()
}

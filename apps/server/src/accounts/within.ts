/** The app's own code took longer than it may. */
export class TookTooLong extends Error {
  override readonly name = 'TookTooLong'
}

/** What `work` resolves with, unless it takes longer than `seconds`. What it throws at once is a rejection, too. */
export async function within<T>(seconds: number, work: () => Promise<T> | T): Promise<T> {
  let timer: NodeJS.Timeout | undefined
  const deadline = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new TookTooLong(`It took longer than ${seconds} s.`)), seconds * 1000)
  })
  try {
    return await Promise.race([work(), deadline])
  } finally {
    clearTimeout(timer)
  }
}

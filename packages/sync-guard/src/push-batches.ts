const encoder = new TextEncoder()

/** Splits rows so that no batch is larger than `maxBytes` of JSON, unless a single row is. Keeps the order. */
export function batchesByBytes<Row>(rows: readonly Row[], maxBytes: number): Row[][] {
  const batches: Row[][] = []
  let bytes = 0
  for (const row of rows) {
    const size = encoder.encode(JSON.stringify(row)).byteLength + 1
    const last = batches.at(-1)
    if (last && bytes + size <= maxBytes) {
      last.push(row)
      bytes += size
    } else {
      batches.push([row])
      bytes = size
    }
  }
  return batches
}

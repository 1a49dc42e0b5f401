import type { Island, Species, StationRecord } from '../src/schemas.ts'
import { ISLANDS, SPECIES } from '../src/schemas.ts'

/**
 * The station's records out of `data/penguins.json` of the npm package vega-datasets: ids `palmer-001`… in the order of the file,
 * `null` where nothing was measured.
 *
 * @throws {TypeError} naming the row, when the file is not the table this expects
 */
export function stationRecordsFrom(rows: unknown): StationRecord[] {
  if (!Array.isArray(rows)) throw new TypeError('Expected penguins.json to be an array of rows.')
  return rows.map((row: unknown, index) => {
    try {
      return stationRecordFrom(row, `palmer-${String(index + 1).padStart(3, '0')}`)
    } catch (cause) {
      throw new TypeError(`Row ${index + 1} of penguins.json is not a penguin record.`, { cause })
    }
  })
}

function stationRecordFrom(row: unknown, id: string): StationRecord {
  if (typeof row !== 'object' || row === null) throw new TypeError('Not an object.')
  const cells: Readonly<Record<string, unknown>> = { ...row }
  return {
    id,
    species: oneOf<Species>(SPECIES, cells.Species),
    island: oneOf<Island>(ISLANDS, cells.Island),
    billLengthMm: measured(cells['Beak Length (mm)']),
    billDepthMm: measured(cells['Beak Depth (mm)']),
    flipperLengthMm: measured(cells['Flipper Length (mm)']),
    bodyMassG: measured(cells['Body Mass (g)']),
    sex: sexFrom(cells.Sex),
  }
}

function oneOf<T extends string>(allowed: readonly T[], cell: unknown): T {
  const found = allowed.find((value) => value === cell)
  if (found === undefined) throw new TypeError(`Expected one of ${allowed.join(', ')}.`)
  return found
}

function measured(cell: unknown): number | null {
  if (cell === null || (typeof cell === 'number' && Number.isFinite(cell))) return cell
  throw new TypeError('Expected a number or null.')
}

/** One row of the source has `.` for the sex, which is how its makers wrote "not recorded". */
function sexFrom(cell: unknown): StationRecord['sex'] {
  if (cell === 'FEMALE') return 'female'
  if (cell === 'MALE') return 'male'
  if (cell === null || cell === '.') return null
  throw new TypeError('Expected FEMALE, MALE or null.')
}

import { type DatabasePlace, openDatabase } from '../database/open-database.ts'
import { silentLog } from '../log.ts'
import { exportTo, importFrom, type Progress } from '../operations/export-import.ts'

const BAR_WIDTH = 30

/** The commands `export` and `import`, with a bar for every table. The server must be stopped where the database is a directory. */
export async function moveData(
  command: 'export' | 'import',
  file: string,
  place: DatabasePlace,
  write: (text: string) => void,
): Promise<void> {
  const database = await openDatabase(place, silentLog)
  try {
    if (command === 'export') await exportTo(file, database.db, progressBars(write))
    else await importFrom(file, database.db, Date.now(), progressBars(write))
  } finally {
    await database.close()
  }
  write(
    command === 'export'
      ? `Exported to ${file}. The key file is not in it: copy it, too.\n`
      : 'Imported. Put the key file of the old server in place before you start.\n',
  )
}

export function progressBars(write: (text: string) => void): Progress {
  return ({ table, rows, of }) => {
    const full = of === 0 ? BAR_WIDTH : Math.floor((Math.min(rows, of) / of) * BAR_WIDTH)
    write(`\r${table.padEnd(14)} [${'#'.repeat(full)}${' '.repeat(BAR_WIDTH - full)}] ${rows}/${of}${rows >= of ? '\n' : ''}`)
  }
}

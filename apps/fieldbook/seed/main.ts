/** Build step: writes `dist/station-records.json`, which the server loads at its first start (see `server.json`). */
import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { stationRecordsFrom } from './station-records.ts'

const source = new URL('../node_modules/vega-datasets/data/penguins.json', import.meta.url)
const target = new URL('../dist/station-records.json', import.meta.url)

const records = stationRecordsFrom(JSON.parse(await readFile(source, 'utf8')))
await mkdir(new URL('.', target), { recursive: true })
await writeFile(target, `${JSON.stringify(records, null, 1)}\n`)
console.log(`${records.length} station records written to dist/station-records.json`)

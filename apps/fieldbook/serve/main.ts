/**
 * Serves the fieldbook: `main.ts [--port 4401] [--server http://127.0.0.1:4400] [--dist DIR]`.
 * Prints one JSON line when ready; SIGTERM and SIGINT end it cleanly.
 */
import { parseArgs } from 'node:util'
import { startFieldbook } from './fieldbook-server.ts'

const { values } = parseArgs({
  options: {
    port: { type: 'string', default: '4401' },
    server: { type: 'string', default: 'http://127.0.0.1:4400' },
    dist: { type: 'string' },
  },
})

const fieldbook = await startFieldbook({
  port: Number(values.port),
  server: values.server,
  ...(values.dist === undefined ? {} : { distDir: values.dist }),
})
const stop = () => void fieldbook.close()
process.once('SIGTERM', stop)
process.once('SIGINT', stop)
console.log(JSON.stringify({ ready: true, url: fieldbook.url }))

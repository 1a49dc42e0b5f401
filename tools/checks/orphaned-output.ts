import { existsSync, globSync, rmSync } from 'node:fs'
import { join } from 'node:path'

/** `tsc -b` leaves the output of deleted and renamed sources in `dist`, and packages would ship it. */
export function removeOrphanedOutput(root: string): void {
  for (const workspace of globSync('{packages,apps}/*', { cwd: root })) {
    const dist = join(root, workspace, 'dist')
    if (!existsSync(join(dist, '.tsbuildinfo'))) continue // not built by tsc
    for (const output of globSync('**/*.{js,js.map,d.ts,d.ts.map}', { cwd: dist })) {
      const source = join(root, workspace, 'src', output.replace(/(\.d\.ts|\.js)(\.map)?$/, ''))
      if (!existsSync(`${source}.ts`) && !existsSync(`${source}.js`)) rmSync(join(dist, output))
    }
  }
}

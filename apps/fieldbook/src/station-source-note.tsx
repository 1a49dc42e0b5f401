import { STATION_SOURCE } from './station-source.ts'

export function StationSource() {
  return (
    <p className="source">
      Station records: 344 penguins measured by {STATION_SOURCE.collector} and the <a href={STATION_SOURCE.url}>{STATION_SOURCE.title}</a>.
      Licence: <a href={STATION_SOURCE.licenceUrl}>{STATION_SOURCE.licence}</a>, by way of the npm package {STATION_SOURCE.package}.
    </p>
  )
}

import { useMemo, useState } from 'react'
import type { RxCollection } from 'rxdb'
import type { Measure } from './chart/measures.ts'
import { isMeasure, MEASURES, summaryOf, valuesOf } from './chart/measures.ts'
import type { ChartRow } from './chart/penguin-chart.tsx'
import { PenguinChart } from './chart/penguin-chart.tsx'
import type { StationRecord } from './schemas.ts'
import { SPECIES } from './schemas.ts'
import { SpeciesName } from './species-name.tsx'
import { useDocuments } from './use-documents.ts'
import { useWidth } from './use-width.ts'

/** One measure of the station's records, by species: a chart, and the same as a table. */
export function ChartScreen({ collection }: { readonly collection: RxCollection<StationRecord> }) {
  const records = useDocuments(collection)
  const [measure, setMeasure] = useState<Measure>('flipperLengthMm')
  const [frame, width] = useWidth()
  const rows = useMemo(() => chartRows(records ?? [], measure), [records, measure])
  const { title, unit } = MEASURES[measure]

  if (!records) return null
  if (rows.length === 0) return <p className="empty">The station’s records come with the first sync.</p>
  return (
    <>
      <fieldset className="measure-choice">
        <legend className="visually-hidden">Measure</legend>
        <div className="segments">
          {Object.entries(MEASURES).map(([name, { title: choice }]) => (
            <label key={name} className="segment">
              <input type="radio" name="measure" checked={name === measure} onChange={() => isMeasure(name) && setMeasure(name)} />
              <span>{choice}</span>
            </label>
          ))}
        </div>
      </fieldset>
      <figure className="card chart-card">
        <figcaption>
          {title} in {unit}. One dot is one penguin, the line is the median.
        </figcaption>
        <div ref={frame}>{width > 0 && <PenguinChart title={title} unit={unit} rows={rows} width={width} />}</div>
      </figure>
      <table className="summary">
        <caption className="visually-hidden">
          {title} by species, in {unit}
        </caption>
        <thead>
          <tr>
            <th scope="col">Species</th>
            <th scope="col">Measured</th>
            <th scope="col">Least</th>
            <th scope="col">Median</th>
            <th scope="col">Most</th>
          </tr>
        </thead>
        <tbody>
          {rows.map(({ species, summary }) => (
            <tr key={species}>
              <th scope="row">
                <SpeciesName species={species} />
              </th>
              <td>{summary.count}</td>
              <td>{summary.min}</td>
              <td>{summary.median}</td>
              <td>{summary.max}</td>
            </tr>
          ))}
        </tbody>
      </table>
    </>
  )
}

function chartRows(records: readonly StationRecord[], measure: Measure): readonly ChartRow[] {
  return SPECIES.flatMap((species) => {
    const values = valuesOf(
      records.filter((record) => record.species === species),
      measure,
    )
    const summary = summaryOf(values)
    return summary ? [{ species, values, summary }] : []
  })
}

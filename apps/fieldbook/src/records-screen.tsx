import { useDeferredValue, useMemo, useState } from 'react'
import type { RxCollection } from 'rxdb'
import { searchRecords } from './record-search.ts'
import type { StationRecord } from './schemas.ts'
import { SpeciesName } from './species-name.tsx'
import { useDocuments } from './use-documents.ts'

/** The station's measurements, read-only, with search. */
export function RecordsScreen({ collection }: { readonly collection: RxCollection<StationRecord> }) {
  const records = useDocuments(collection)
  const [query, setQuery] = useState('')
  const searched = useDeferredValue(query)
  const found = useMemo(() => records && searchRecords(records, searched).toSorted((a, b) => a.id.localeCompare(b.id)), [records, searched])

  if (!records || !found) return null
  if (records.length === 0) return <p className="empty">The station’s records come with the first sync.</p>
  return (
    <>
      <search className="record-search">
        <label className="field">
          <span>Search</span>
          <input type="search" value={query} placeholder="gentoo biscoe female" onChange={(event) => setQuery(event.target.value)} />
        </label>
        <p className="hint" role="status">
          {found.length === records.length ? `${records.length} records` : `${found.length} of ${records.length} records`}
        </p>
      </search>
      {found.length === 0 ? <p className="empty">No record fits “{searched}”.</p> : <RecordTable records={found} />}
    </>
  )
}

function RecordTable({ records }: { readonly records: readonly StationRecord[] }) {
  return (
    <table className="records">
      <caption className="visually-hidden">Penguins measured at Palmer Station</caption>
      <thead>
        <tr>
          <th scope="col">Record</th>
          <th scope="col">Species</th>
          <th scope="col">Island</th>
          <th scope="col">Sex</th>
          <th scope="col" className="number">
            Bill <small>mm</small>
          </th>
          <th scope="col" className="number">
            Flipper <small>mm</small>
          </th>
          <th scope="col" className="number">
            Mass <small>g</small>
          </th>
        </tr>
      </thead>
      <tbody>
        {records.map((record) => (
          <tr key={record.id}>
            <th scope="row">{record.id}</th>
            <td>
              <SpeciesName species={record.species} />
            </td>
            <td>{record.island}</td>
            <td>{record.sex ?? <NotMeasured />}</td>
            <td className="number" data-label="Bill">
              {record.billLengthMm === null || record.billDepthMm === null ? (
                <NotMeasured />
              ) : (
                `${record.billLengthMm.toFixed(1)} × ${record.billDepthMm.toFixed(1)}`
              )}
            </td>
            <td className="number" data-label="Flipper">
              {record.flipperLengthMm ?? <NotMeasured />}
            </td>
            <td className="number" data-label="Mass">
              {record.bodyMassG ?? <NotMeasured />}
            </td>
          </tr>
        ))}
      </tbody>
    </table>
  )
}

function NotMeasured() {
  return (
    <span className="hint">
      <span aria-hidden="true">–</span>
      <span className="visually-hidden">not recorded</span>
    </span>
  )
}

import { useId } from 'react'
import type { Species } from '../schemas.ts'
import { roundScale, swarm } from './layout.ts'
import type { Summary } from './measures.ts'

export interface ChartRow {
  readonly species: Species
  readonly values: readonly number[]
  readonly summary: Summary
}

interface PenguinChartProps {
  readonly title: string
  readonly unit: string
  readonly rows: readonly ChartRow[]
  /** Pixels. */
  readonly width: number
}

const PADDING = { left: 14, right: 22, top: 22, bottom: 30 }
const NAME_HEIGHT = 32
const MIN_SWARM_HEIGHT = 56

/** One dot per penguin, a row per species, the median marked. */
export function PenguinChart({ title, unit, rows, width }: PenguinChartProps) {
  const id = useId()
  const narrow = width < 520
  const radius = narrow ? 2.4 : 3.6
  const scale = roundScale(Math.min(...rows.map((row) => row.summary.min)), Math.max(...rows.map((row) => row.summary.max)), narrow ? 5 : 8)
  const toX = (value: number) => PADDING.left + scale.position(value) * (width - PADDING.left - PADDING.right)

  let bottom = PADDING.top
  const bands = rows.map((row) => {
    const dots = swarm(row.values.map(toX), radius * 2 + 0.8)
    const swarmHeight = Math.max(MIN_SWARM_HEIGHT, 2 * Math.max(...dots.map((dot) => Math.abs(dot.y))) + 4 * radius)
    const top = bottom
    bottom += NAME_HEIGHT + swarmHeight
    return { ...row, dots, top, middle: top + NAME_HEIGHT + swarmHeight / 2, bottom }
  })

  return (
    <svg className="chart" width={width} height={bottom + PADDING.bottom} role="img" aria-labelledby={`${id}-title ${id}-text`}>
      <title id={`${id}-title`}>{`${title} by species`}</title>
      <desc id={`${id}-text`}>{describe(rows, unit)}</desc>
      {scale.ticks.map((tick) => (
        <g key={tick} className="tick" transform={`translate(${toX(tick)} 0)`}>
          <line y1={PADDING.top - 8} y2={bottom} />
          <text y={bottom + 18}>{tick}</text>
        </g>
      ))}
      {bands.map(({ species, summary, dots, top, middle, bottom: bandBottom }) => (
        <g key={species} data-species={species}>
          <text className="row-name" x={PADDING.left} y={top + 16}>
            {species} <tspan className="row-count">{summary.count}</tspan>
          </text>
          {dots.map((dot, index) => (
            // biome-ignore lint/suspicious/noArrayIndexKey: a dot has no identity, its place in the row is all it is
            <circle key={index} cx={dot.x} cy={middle + dot.y} r={radius} />
          ))}
          <line className="median" x1={toX(summary.median)} x2={toX(summary.median)} y1={top + 18} y2={bandBottom} />
          <text className="median-value" x={toX(summary.median) + 5} y={top + 26}>
            {summary.median}
          </text>
        </g>
      ))}
    </svg>
  )
}

function describe(rows: readonly ChartRow[], unit: string): string {
  return rows
    .map(
      ({ species, summary }) =>
        `${species}: ${summary.count} penguins from ${summary.min} to ${summary.max} ${unit}, median ${summary.median} ${unit}.`,
    )
    .join(' ')
}

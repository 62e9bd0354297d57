/** Plots of results as SVG, by Vega-Lite. The plots themselves are data (Plot, kept with the results), so that they can be drawn again. */
import { parse, View } from 'vega';
import { compile } from 'vega-lite';
import type { TopLevelSpec } from 'vega-lite';
import type { Plot } from './markdown.ts';

const WIDTH = 620;
const HEIGHT = 300;
/** One colour for a program in all plots; told apart without colour too. */
const SERIES = ['emkit', 'qemu', 'v86', 'qemu-img', 'native'];
const COLOURS = ['#0b6fb8', '#d9822b', '#7f7f7f', '#d9822b', '#3b8f4a'];
const DASHES = [
  [1, 0],
  [6, 3],
  [2, 3],
  [6, 3],
  [1, 0],
];

export function plotSpec(plot: Plot): TopLevelSpec {
  const points = plot.points.filter((p) => Number.isFinite(p.y) && p.y > 0).map((p) => ({ ...p }));
  const known = SERIES.map((name, n) => ({ name, n })).filter(({ name }) => points.some((p) => p.series === name));
  const scale = { domain: known.map((k) => k.name), range: known.map((k) => COLOURS[k.n]) };
  const base = {
    $schema: 'https://vega.github.io/schema/vega-lite/v6.json',
    title: plot.title,
    width: WIDTH,
    height: HEIGHT,
    background: 'white',
    data: { values: points },
  } as const;
  if (plot.kind === 'lines')
    return {
      ...base,
      mark: { type: 'line', point: true },
      encoding: {
        x: { field: 'x', type: 'quantitative', title: plot.x, scale: { type: 'log', base: 2 } },
        y: { field: 'y', type: 'quantitative', title: plot.y, scale: { type: 'log' } },
        color: { field: 'series', type: 'nominal', title: null, scale },
        strokeDash: {
          field: 'series',
          type: 'nominal',
          title: null,
          scale: { domain: scale.domain, range: known.map((k) => DASHES[k.n]) },
        },
      },
    };
  const many = known.length > 1;
  // from the line of equality up or down, so that half and double look alike
  return {
    ...base,
    mark: { type: 'bar' },
    encoding: {
      x: { field: 'x', type: 'nominal', title: null, sort: null, axis: { labelAngle: -45 } },
      ...(many ? { xOffset: { field: 'series', type: 'nominal' as const, sort: scale.domain } } : {}),
      y: {
        field: 'y',
        type: 'quantitative',
        title: plot.y,
        scale: { type: plot.line === undefined ? 'linear' : 'log' },
      },
      ...(plot.line === undefined ? {} : { y2: { datum: plot.line } }),
      color: { field: 'series', type: 'nominal', title: null, scale, ...(many ? {} : { legend: null }) },
    },
  };
}

export async function plotSvg(plot: Plot): Promise<string> {
  const view = new View(parse(compile(plotSpec(plot)).spec), { renderer: 'none' });
  const svg = await view.toSVG();
  view.finalize();
  return svg;
}

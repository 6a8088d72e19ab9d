/* The tables and figures of docs/scaling.md, from what was measured, the model and the simulation. */
import {
  sentenceOfSlowness,
  tableOfPoints,
  tableOfPrices,
  tableOfRows,
  tableOfStream,
} from './cost-tables.ts';
import { summaryOfLoads, tableOfLoads } from './loads-table.ts';
import { tableOfPrediction } from './prediction-table.ts';
import { tableOfQueues, tableOfValidation } from './queue-tables.ts';

/** By the name of their place in the page. */
export function makeTables(): Record<string, string> {
  return {
    slowness: sentenceOfSlowness(),
    prices: tableOfPrices(),
    points: tableOfPoints(),
    prediction: tableOfPrediction(),
    stream: tableOfStream(),
    rows: tableOfRows(),
    validation: tableOfValidation(),
    queues: tableOfQueues(),
    loads: tableOfLoads(),
    summary: summaryOfLoads(),
  };
}

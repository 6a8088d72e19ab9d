import type { TSchema } from 'typebox';

/** What the tests read of the OpenAPI document. */
export interface Document {
  openapi: string;
  paths: Record<string, Record<string, Operation>>;
}

export interface Operation {
  operationId: string;
  parameters?: Described[];
  requestBody?: { content: Record<string, Described> };
  responses: Record<string, { headers: object; content: Record<string, Described> }>;
}

export interface Described {
  schema: TSchema;
  example?: unknown;
  examples?: Record<string, { value: unknown }>;
}

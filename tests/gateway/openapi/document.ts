import type { TSchema } from 'typebox';

/** What the tests read of the OpenAPI document. */
export interface Document {
  openapi: string;
  security: object[];
  paths: Record<string, Record<string, Operation>>;
  components: { schemas: Record<string, TSchema>; securitySchemes?: object };
}

export interface Operation {
  operationId: string;
  description: string;
  security?: object[];
  parameters?: Described[];
  requestBody?: { content: Record<string, Described> };
  responses: Record<string, { headers: object; content: Record<string, Described> }>;
}

export interface Described {
  name?: string;
  schema: TSchema;
  example?: unknown;
  examples?: Record<string, { value: unknown }>;
}

/** The document with each reference replaced by what it refers to. */
export function readDocument(text: string): Document {
  const document = JSON.parse(text) as Record<string, unknown>;
  return resolve(document) as Document;

  function resolve(value: unknown): unknown {
    if (Array.isArray(value)) return value.map(resolve);
    if (typeof value !== 'object' || value === null) return value;
    if ('$ref' in value) return resolve(find(String(value.$ref)));
    return Object.fromEntries(Object.entries(value).map(([name, item]) => [name, resolve(item)]));
  }

  function find(reference: string): unknown {
    const path = reference.replace('#/', '').split('/');
    return path.reduce<unknown>((at, name) => (at as Record<string, unknown>)[name], document);
  }
}

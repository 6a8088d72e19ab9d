import { Type } from 'typebox';
import { databaseUrlSetting } from '../../schema/database/database-url.ts';
import { ConfigurationError } from '../../schema/settings/environment.ts';

export interface ServiceUrls {
  gateway: string;
  counter: string;
}

/** For roles that a DBA has made, in place of those that provisioning makes. */
export const ServiceUrlSettings = {
  GATEWAY_DATABASE_URL: Type.Optional(
    databaseUrlSetting('PostgreSQL as the role that a DBA has made for gateways'),
  ),
  COUNTER_DATABASE_URL: Type.Optional(
    databaseUrlSetting('PostgreSQL as the role that a DBA has made for counter services'),
  ),
};

/** Both, or undefined. @throws ConfigurationError */
export function readServiceUrls(settings: {
  GATEWAY_DATABASE_URL?: string;
  COUNTER_DATABASE_URL?: string;
}): ServiceUrls | undefined {
  const { GATEWAY_DATABASE_URL: gateway, COUNTER_DATABASE_URL: counter } = settings;
  if (gateway !== undefined && counter !== undefined) return { gateway, counter };
  if (gateway === undefined && counter === undefined) return undefined;
  throw new ConfigurationError([
    'GATEWAY_DATABASE_URL and COUNTER_DATABASE_URL go together: set both or none',
  ]);
}

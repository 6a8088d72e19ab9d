import { Type } from 'typebox';
import { STREAM_BYTES_MAX } from './streams.ts';

const NAME = /^(?!(?:DEAD|MESH)$|.*_DEAD$)[A-Z][A-Z0-9_]{0,29}$/;

/** Of every part of a mesh. It is read where the names are made, in streams.ts; here it is checked. */
export const StreamNameSetting = {
  STREAM_NAME: Type.Refine(
    Type.String({
      default: 'INCREMENTS',
      description:
        'The stream, whose subjects are made from its name: each mesh in an account needs its own, the same in all its parts',
    }),
    (name) => NAME.test(name),
    () =>
      'it must be up to 30 capital letters, digits and _, begin with a letter, and not be DEAD, MESH or end in _DEAD',
  ),
};

/** Of what makes the stream. */
export const StreamBytesMaxSetting = {
  STREAM_BYTES_MAX: Type.Integer({
    default: STREAM_BYTES_MAX,
    minimum: 1_048_576,
    maximum: 1_099_511_627_776,
    description:
      'Bytes at which the stream refuses more, below what its servers and its account have room for; dead letters have a quarter of it beside',
  }),
};

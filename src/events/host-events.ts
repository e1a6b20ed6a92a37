import { z } from 'zod';
import { boundedText } from './schemas.ts';

const event = <Type extends string, Data extends z.ZodType>(type: Type, data: Data) =>
  z.strictObject({ type: z.literal(type), data });

/** What a host has for boxes. */
export const capacitySchema = z.strictObject({ cpus: z.number().positive(), memoryMib: z.int().positive() });
export type Capacity = z.infer<typeof capacitySchema>;

export const hostEventSchema = z.discriminatedUnion('type', [
  /** `epoch` counts the joins of this host: what an earlier epoch still says is not heard. */
  event(
    'host.joined',
    z.strictObject({
      epoch: z.int().positive(),
      hostname: boundedText(256),
      driver: z.enum(['process', 'qemu', 'sim']),
      capacity: capacitySchema,
    }),
  ),
  event('host.left', z.strictObject({ epoch: z.int().positive() })),
]);
export type HostEvent = z.infer<typeof hostEventSchema>;

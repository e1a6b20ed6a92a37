import { BinaryReader } from '@bufbuild/protobuf/wire';
import { ReflectionService } from '@grpc/reflection';
import { descriptorSet } from '../gen/descriptor-set.ts';

/** Answers what the API looks like, from the descriptors that the build made of the proto files. */
export const reflection = (services: string[]): ReflectionService =>
  new ReflectionService(
    {
      // The service looks for descriptors in each entry of a package, and at nothing else.
      boxledger: {
        format: 'Protocol Buffer 3 DescriptorProto',
        type: {},
        fileDescriptorProtos: filesOf(Buffer.from(descriptorSet, 'base64')),
      },
    },
    { services },
  );

/** `google.protobuf.FileDescriptorSet` is `repeated FileDescriptorProto file = 1`. */
const filesOf = (set: Uint8Array): Buffer[] => {
  const reader = new BinaryReader(set);
  const files: Buffer[] = [];
  while (reader.pos < reader.len) {
    const [field, wireType] = reader.tag();
    if (field === 1) files.push(Buffer.from(reader.bytes()));
    else reader.skip(wireType);
  }
  return files;
};

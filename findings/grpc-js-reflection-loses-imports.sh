#!/usr/bin/env bash
# @grpc/reflection 1.0.4 (npm), the official server reflection of grpc-js, with @grpc/proto-loader 0.8.1: files are
# merged by package under names of its own, `dependency` is empty though types of other packages are used,
# google/protobuf/*.proto come as one `google_protobuf.proto`, and proto2 is told as proto3. A client that resolves
# types in the files that a file imports finds none of another package, and meets google.protobuf.Any in a file whose
# name it does not know.
set -euo pipefail
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cd "$dir"
npm install --silent --no-audit --no-fund --prefix . \
  @grpc/grpc-js@1.14.7 @grpc/proto-loader@0.8.1 @grpc/reflection@1.0.4 >/dev/null
cat > money.proto <<'PROTO'
syntax = "proto2";
package shop.money;
message Price { required int64 cents = 1; }
PROTO
cat > order.proto <<'PROTO'
syntax = "proto3";
package shop;
import "money.proto";
import "google/protobuf/any.proto";
message Order { shop.money.Price price = 1; google.protobuf.Any note = 2; }
PROTO
cat > service.proto <<'PROTO'
syntax = "proto3";
package shop;
import "order.proto";
service Orders { rpc Place(Order) returns (Order); }
PROTO
cat > ask.js <<'JS'
const grpc = require('@grpc/grpc-js');
const loader = require('@grpc/proto-loader');
const { ReflectionService } = require('@grpc/reflection');
const { FileDescriptorProto } = require('protobufjs/ext/descriptor');

const types = loader.loadSync('service.proto', { includeDirs: ['.'] });
const server = new grpc.Server();
new ReflectionService(types).addToServer(server);
server.bindAsync('127.0.0.1:0', grpc.ServerCredentials.createInsecure(), (error, port) => {
  if (error) throw error;
  const own = `${__dirname}/node_modules/@grpc/reflection/build/proto/grpc/reflection/v1/reflection.proto`;
  const { ServerReflection } = grpc.loadPackageDefinition(loader.loadSync(own)).grpc.reflection.v1;
  const client = new ServerReflection(`127.0.0.1:${port}`, grpc.credentials.createInsecure());
  const call = client.ServerReflectionInfo();
  call.on('data', ({ fileDescriptorResponse }) => {
    for (const bytes of fileDescriptorResponse.fileDescriptorProto) {
      const file = FileDescriptorProto.decode(bytes);
      const used = file.messageType.flatMap((it) => it.field).map((it) => it.typeName).filter((it) => it);
      console.log(file.name, file.syntax, 'imports', file.dependency, 'uses', used);
    }
    call.end();
  });
  call.on('end', () => process.exit());
  call.write({ fileContainingSymbol: 'shop.Orders' });
});
JS
node ask.js | tee seen
diff - seen <<'EXPECTED'
shop.proto proto3 imports [] uses [ 'money.Price', 'google.protobuf.Any' ]
shop_money.proto proto3 imports [] uses []
google_protobuf.proto proto3 imports [] uses []
EXPECTED

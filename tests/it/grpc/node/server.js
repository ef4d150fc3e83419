// A gRPC server of grpc-js with its server reflection, which tells each call on its standard output.
//
//     node server.js FOLDER PACKAGES

const { createRequire } = require("node:module");

const [folder, packages] = process.argv.slice(2);
const load = createRequire(`${packages}/`);
const grpc = load("@grpc/grpc-js");
const loader = load("@grpc/proto-loader");
const { ReflectionService } = load("@grpc/reflection");

const tell = (what) => console.log(JSON.stringify(what));

// Reflection is a service of its own: what is called is seen before anyone answers.
const seen = (method, call) =>
  new grpc.ServerInterceptingCall(call, {
    start: (next) =>
      next({
        onReceiveMetadata: (metadata, next) => {
          const all = Object.entries(metadata.getMap()).map(([key, value]) => [key, `${value}`]);
          tell({ event: "call", method: method.path.split("/").pop(), path: method.path, metadata: all });
          next(metadata);
        },
      }),
  });

const types = loader.loadSync("acme/echo/v1/echo.proto", { includeDirs: [folder], keepCase: true });
const { Echo } = grpc.loadPackageDefinition(types).acme.echo.v1;
const server = new grpc.Server({ interceptors: [seen] });
const back = (call, done) => done(null, call.request);
server.addService(Echo.service, {
  Say: back,
  All: back,
  Count: (call) => {
    for (let value = 0; value < Number(call.request.upTo); value += 1) call.write({ value });
    call.end();
  },
  Sum: (call, done) => {
    let value = 0;
    call.on("data", (number) => (value += Number(number.value)));
    call.on("end", () => done(null, { value }));
  },
  Chat: (call) => {
    call.on("data", ({ text }) => call.write({ text: text.toUpperCase() }));
    call.on("end", () => call.end());
  },
});
new ReflectionService(types).addToServer(server);
server.bindAsync("127.0.0.1:0", grpc.ServerCredentials.createInsecure(), (error, port) => {
  if (error) throw error;
  tell({ event: "listening", port });
});

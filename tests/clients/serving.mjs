import { createServer } from "node:http";

/** Runs `use` with the address of a server that answers everything with these chunks. */
export async function serving(chunks, contentType, use) {
  const server = createServer((_request, response) => {
    response.writeHead(200, { "content-type": contentType });
    for (const chunk of chunks) response.write(chunk);
    response.end();
  });
  await new Promise((resolve) => { server.listen(0, "127.0.0.1", resolve); });
  try {
    return await use(`http://127.0.0.1:${server.address().port}`);
  } finally {
    server.closeAllConnections();
    server.close();
  }
}

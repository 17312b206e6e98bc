# Spillway in a container: `docker build --tag spillway .`, then
#   docker run --read-only --volume spillway:/var/lib/spillway --volume ./pipeline.yaml:/etc/spillway/pipeline.yaml:ro spillway
#
# The config says `data_dir: /var/lib/spillway` and `health: { address: '127.0.0.1:8686' }`, which the health check asks.
# Nothing else is written, so the root file system can be read-only, and the user is not root. The buffer's files belong
# to user 1000: a directory that is mounted from the host has to be writable for that user.
#
# BASE is any image with Node 22.19 or newer. The build stage takes Node 24 and npm, unless the build context is a folder
# that holds what `npm run application -- app` makes, and this file: then neither npm nor a registry is needed.
ARG BASE=node:24-bookworm-slim

FROM $BASE AS build
WORKDIR /build
COPY . .
RUN [ -d app ] || npm run application -- app

FROM $BASE
COPY --from=build /build/app /opt/spillway
RUN chmod 0755 /opt/spillway/dist/cli/main.js \
 && ln -s /opt/spillway/dist/cli/main.js /usr/local/bin/spillway \
 && mkdir -p /etc/spillway /var/lib/spillway \
 && chown 1000:1000 /var/lib/spillway
ENV NODE_ENV=production
USER 1000:1000
WORKDIR /etc/spillway
VOLUME /var/lib/spillway
EXPOSE 4318
# A healthy pipeline is one that runs, whether or not its sinks are there: that they are away is what it is for.
HEALTHCHECK --interval=5s --timeout=3s --start-period=15s --retries=3 \
  CMD ["node", "-e", "fetch('http://127.0.0.1:8686/healthz').then((answer) => process.exit(answer.ok ? 0 : 1), () => process.exit(1))"]
ENTRYPOINT ["spillway", "run"]
CMD ["/etc/spillway/pipeline.yaml"]

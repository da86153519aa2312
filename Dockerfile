# One image for replicas and for their front; what its answers are does not depend on the machine.
#
#   docker build -t pronk .                    with the model: starts in a second, needs no network
#   docker build -t pronk --target server .    without: the first start downloads it into /home/node/data
#   docker run --rm -p 8787:8787 pronk
#   docker run --rm -p 8787:8787 pronk front http://load-balancer:8080
#
# No step needs root, and nothing of the program can be written by who runs it.

FROM node:26-slim AS build
USER node
RUN mkdir /home/node/pronk
WORKDIR /home/node/pronk
COPY --chown=node package.json package-lock.json .npmrc ./
RUN npm ci --ignore-scripts --no-audit --no-fund
COPY --chown=node tsconfig.json tsconfig.build.json ./
COPY --chown=node scripts/declarations.mjs scripts/bundle.mjs scripts/build-playground.mjs scripts/
COPY --chown=node scripts/playground scripts/playground/
COPY --chown=node scripts/release/sbom.mjs scripts/release/supply-chain.mjs scripts/release/
COPY --chown=node wasm wasm/
COPY --chown=node workers workers/
COPY --chown=node src src/
RUN npm run build && npm prune --omit=dev --ignore-scripts --no-audit --no-fund

FROM node:26-slim AS server
USER node
RUN mkdir /home/node/data
COPY --from=build /home/node/pronk/package.json /home/node/pronk/package.json
COPY --from=build /home/node/pronk/node_modules /home/node/pronk/node_modules/
COPY --from=build /home/node/pronk/wasm/dist /home/node/pronk/wasm/dist/
COPY --from=build /home/node/pronk/dist /home/node/pronk/dist/
ENV HOST=0.0.0.0 PORT=8787 PRONK_CACHE=/home/node/data
EXPOSE 8787
# The model is there in a second or two, or after a download.
HEALTHCHECK --interval=10s --timeout=5s --start-period=300s --start-interval=1s \
  CMD ["node", "-e", "fetch(`http://127.0.0.1:${process.env.PORT}/health`).then(({ ok }) => process.exit(ok ? 0 : 1), () => process.exit(1))"]
ENTRYPOINT ["node", "/home/node/pronk/dist/src/cli/main.js"]
CMD ["serve"]

FROM server AS with-model
# A name that `pronk pull` knows, hf:OWNER/REPO:QUANTIZATION, or a URL.
ARG MODEL=smollm2-135m-instruct
RUN PRONK_CACHE=/home/node/pulled node /home/node/pronk/dist/src/cli/main.js pack "$MODEL" --out /home/node/model \
  && rm -rf /home/node/pulled
ENV PRONK_MODEL=/home/node/model

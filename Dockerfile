# syntax=docker/dockerfile:1
# Context Window Manager as a container: built from the lock file, run as a user without rights, state in /data.
# It listens on all addresses, so it starts with tenants (CWM_CONFIG) or with CWM_ANY_KEY=true only.
FROM node:22-bookworm-slim AS build
WORKDIR /app
COPY package.json package-lock.json ./
RUN npm ci --ignore-scripts
COPY tsconfig.json tsconfig.build.json ./
COPY src ./src
# What the build renders for /cwm/docs/.
COPY README.md CHANGELOG.md CONTRIBUTING.md SECURITY.md ./
COPY assets ./assets
COPY docs ./docs
COPY examples ./examples
COPY scripts/docs-site ./scripts/docs-site
COPY scripts/engine/README.md ./scripts/engine/README.md
RUN npm run build && npm prune --omit=dev --ignore-scripts

FROM node:22-bookworm-slim
ENV NODE_ENV=production \
    CWM_HOST=0.0.0.0 \
    CWM_PORT=8787 \
    CWM_DATA_DIR=/data
WORKDIR /app
RUN mkdir /data && chown 1000:1000 /data
COPY --from=build --chown=root:root /app/package.json ./
COPY --from=build --chown=root:root /app/node_modules ./node_modules
COPY --from=build --chown=root:root /app/assets ./assets
COPY --from=build --chown=root:root /app/dist ./dist
USER 1000:1000
VOLUME /data
EXPOSE 8787
# 503 while the engine does not answer: a proxy without an engine is of no use to a load balancer.
HEALTHCHECK --interval=30s --timeout=5s --start-period=10s \
  CMD ["node", "-e", "fetch(`http://127.0.0.1:${process.env.CWM_PORT}/cwm/v1/health`).then((r) => process.exit(r.ok ? 0 : 1), () => process.exit(1))"]
ENTRYPOINT ["node", "--enable-source-maps", "dist/cli/main.js"]
CMD ["serve"]

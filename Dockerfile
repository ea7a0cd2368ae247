# One image for every command: `docker run … up` is all in one; docker-compose.yml runs the parts apart.
FROM python:3.12-slim AS build
WORKDIR /src
RUN python -m venv /app
COPY pyproject.toml constraints.txt README.md LICENSE ./
COPY notifier notifier
COPY workers workers
RUN /app/bin/pip install --no-cache-dir --disable-pip-version-check --constraint constraints.txt .

FROM python:3.12-slim
RUN useradd --system --uid 10001 --home-dir /data notifier \
    && install --directory --owner notifier --group notifier --mode 0700 /data
COPY --from=build /app /app
ENV PATH=/app/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    NOTIFIER_HOST=0.0.0.0 \
    NOTIFIER_PORT=8080 \
    NOTIFIER_DATA_DIR=/data \
    NOTIFIER_LOG_FORMAT=json
USER notifier
WORKDIR /data
VOLUME /data
EXPOSE 8080
HEALTHCHECK --interval=10s --timeout=3s --start-period=10s \
    CMD ["python", "-c", "import os, urllib.request as r; r.urlopen('http://127.0.0.1:' + os.environ['NOTIFIER_PORT'] + '/healthz', timeout=2)"]
ENTRYPOINT ["space-notifier"]
CMD ["up"]

# One image for service and agents; what it runs is the command. Build: docker build -t maintenance-order-ledger .
FROM python:3.12-slim AS build
WORKDIR /build
COPY requirements/uv.txt requirements/run.txt requirements/
RUN python -m venv /opt/mol \
 && /opt/mol/bin/pip install --no-cache-dir --require-hashes -r requirements/run.txt
COPY . .
RUN /opt/mol/bin/pip install --no-cache-dir --no-deps --no-build-isolation .

FROM python:3.12-slim
# Keys and data are mounted; nobody but this user reads them.
RUN useradd --uid 10001 --create-home mol
COPY --from=build /opt/mol /opt/mol
ENV PATH=/opt/mol/bin:$PATH ETH_HASH_BACKEND=pysha3 PYTHONUNBUFFERED=1
USER mol
WORKDIR /plant
ENTRYPOINT ["mol"]
CMD ["--help"]

# vLLM's own image with the version of LMCache that cwm was tested with.
FROM vllm/vllm-openai:v0.32.0
RUN uv pip install --system lmcache==0.5.6
# The image starts vLLM by itself; compose.yaml names the program of each service.
ENTRYPOINT []

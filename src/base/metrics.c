#include <aorta/metrics.h>

const struct metric_row metric_rows[METRICS] = {
#define METRIC_ROW(name, family, label, help) {family, label, help},
    METRIC_TABLE(METRIC_ROW)
#undef METRIC_ROW
};

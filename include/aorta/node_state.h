/* aorta/node_state.h - what the whole process is doing; set by app, read by everybody. */
#ifndef AORTA_NODE_STATE_H
#define AORTA_NODE_STATE_H

enum node_state { NODE_STARTING, NODE_RUNNING, NODE_DRAINING };
#endif

"""The analysts' web application: a queue of the events whose labels teach a model most.

The application closes the loop of the data flow. Deployed bundles score telemetry, analysts label
a small part of it, and the labels train and measure the next bundle:

1. `enqueue.enqueue_events` scores events with the deployed bundle, ranks them by acquisition score
   (`acquisition.rank_events`), groups near-duplicates, draws random samples, and stores the items.
2. `queue.Queue` gives each analyst the next item; `event_view.view_event` gathers what the page
   shows, and `safe_text` makes untrusted text harmless.
3. `label_recorder.LabelRecorder` stores labels as annotations in the label store, and undoes them.
4. `dashboard.compute_dashboard` measures the bundle on the random samples, and the teachers.
5. `retrain.learn` trains a candidate, and promotes it if it is better.

`web` renders the pages; `accounts` and `sessions` control the access; `annotation_tools` exchanges
the queue with Label Studio and Argilla. `review_tables` holds the tables, in the label store's
database.

Examples
--------
Add events to a queue and list the first page::

    with LabelStore("labels.db") as store:
        enqueue_events(store, dataset, load("url.buckler"), task)
        for item in Queue(store, task).page(Filter()).items:
            print(item.acquisition, item.reason)
"""

"""A dashboard of CloudWatch on loopback: its custom widgets as CloudWatch's console renders them.

* `cleaning` is what is left of a widget's HTML: no script, no iframe, no event handlers.
* `role` is the role with which a person views the dashboard, and nothing else.
* `widgets` reads the dashboard and calls the functions of its widgets.
* `server` serves both, with `static/`, to a browser.

Facts of custom widgets: the pages "About", "Interactivity" and "Security" of
https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/add_custom_widget_dashboard.html
"""

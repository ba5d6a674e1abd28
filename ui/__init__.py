"""The only shared Streamlit code: the frame, forms, panels, charts and teaching blocks of every page."""

-- The tables of the emulator's database, as its scripts read them.
CREATE TABLE IF NOT EXISTS pinterest_data (`index` bigint PRIMARY KEY, unique_id text, title text, description text, poster_name text, follower_count text,
  tag_list text, is_image_or_video text, image_src text, downloaded int, save_location text, category text) CHARACTER SET utf8mb4;
CREATE TABLE IF NOT EXISTS geolocation_data (ind bigint PRIMARY KEY, timestamp datetime, latitude double, longitude double, country text) CHARACTER SET utf8mb4;
CREATE TABLE IF NOT EXISTS user_data (ind bigint PRIMARY KEY, first_name text, last_name text, age int, date_joined datetime) CHARACTER SET utf8mb4;
